"""A CrewAI crew as a program of JSON lines: a task comes on stdin, its answer goes to stdout."""
import json
import sys

from crewai import Agent, Crew, Task

researcher = Agent(role="Researcher", goal="Find what is known", backstory="You are thorough and brief.")
task = Task(description="Research {input}", expected_output="Five sentences", agent=researcher)
crew = Crew(agents=[researcher], tasks=[task])

answers, sys.stdout = sys.stdout, sys.stderr  # what the crew prints is no answer
for line in sys.stdin:
    asked = json.loads(line)
    if asked.get("cancel"):
        continue
    try:
        said = {"text": crew.kickoff(inputs={"input": asked["text"], **(asked.get("data") or {})}).raw}
    except Exception as error:  # the task fails, the crew goes on
        said = {"error": str(error)}
    print(json.dumps({"id": asked["id"], **said}), file=answers, flush=True)
