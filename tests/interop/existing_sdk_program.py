"""A program on the existing network's Python SDK, set up by its argument. It does what it reads line by line on standard
input, and answers each line with one."""

import asyncio
import json
import sys

from agentanycast import AgentCard, Artifact, Message, Node, Part, Skill
from agentanycast.adapters._base import BaseAdapter

setup = json.loads(sys.argv[1])
options = {
    "card": AgentCard(name="Theirs", skills=[Skill(id="echo", description="Says it again")]),
    "home": setup["home"],
    "daemon_path": setup["daemon"],
    "daemon_addr": setup.get("daemonAddr"),
    "relay": setup.get("relay"),
}


class Capitals(BaseAdapter):
    async def _invoke(self, input_text, input_data):
        return input_text.upper()


adapter = Capitals(**options) if setup.get("adapter") else None
node = adapter._node if adapter else Node(**options)
handles = {}
background = set()


async def work(task):
    """Does what the first word of the task says."""
    parts = [part for message in task.messages for part in message.parts]
    word, _, rest = (parts[0].text or "").partition(" ")
    await task.update_status("working")
    if word == "fail":
        return await task.fail(rest)
    if word == "ask":
        return await task.request_input(Message(role="agent", parts=[Part(text=rest)]))
    name = task.sender_card.name if task.sender_card else None
    await task.complete([Artifact(artifact_id="1", name="echo", parts=[*parts, Part(text=str(name))])])


node.on_task(adapter._handle_task if adapter else work)


def to_part(part):
    return Part(
        text=part.get("text"),
        data=part.get("data"),
        url=part.get("url"),
        raw=bytes(part["raw"]["data"]) if "raw" in part else None,
        media_type=part.get("mediaType"),
        metadata=part.get("metadata"),
    )


def from_part(part):
    raw = {"type": "Buffer", "data": list(part.raw)} if part.raw is not None else None
    said = {"text": part.text, "data": part.data, "url": part.url, "raw": raw}
    said |= {"mediaType": part.media_type or None, "metadata": part.metadata or None}
    return {name: value for name, value in said.items() if value is not None}


def from_artifact(artifact):
    parts = [from_part(part) for part in artifact.parts]
    return {"artifactId": artifact.artifact_id, "name": artifact.name, "parts": parts}


async def start():
    await node.start()
    serving = asyncio.create_task(node.serve_forever())
    background.add(serving)
    return node.peer_id


async def get_card(peer_id):
    card = await node.get_card(peer_id)
    skills = [{"id": skill.id, "description": skill.description} for skill in card.skills]
    return {"name": card.name, "peerId": card.peer_id, "skills": skills}


async def list_peers():
    return [peer["peer_id"] for peer in await node.list_peers()]


async def connect_peer(peer_id, addresses):
    return {"peerId": (await node.connect_peer(peer_id, addresses))["peer_id"]}


async def discover(skill):
    return [
        {
            "peerId": agent["peer_id"],
            "agentName": agent["agent_name"],
            "skills": [{"skillId": one["skill_id"], "description": one["description"]} for one in agent["skills"]],
        }
        for agent in await node.discover(skill)
    ]


async def send_task(target, parts):
    message = Message(role="user", parts=[to_part(part) for part in parts])
    names = {"peerId": "peer_id", "skill": "skill", "url": "url"}
    handle = await node.send_task(message, **{names[name]: value for name, value in target.items()})
    handles[handle.task_id] = handle
    return handle.task_id


async def wait(task_id):
    task = await handles[task_id].wait(timeout=15)
    return {"status": task.status.value, "artifacts": [from_artifact(one) for one in task.artifacts]}


async def stream(task_id):
    data = b""
    async for event in node._grpc.subscribe_task_stream(task_id):
        if event.HasField("stream_chunk"):
            data += event.stream_chunk.data
        if event.HasField("stream_end"):
            break
    return data.hex()


async def cancel(task_id):
    await handles[task_id].cancel()


async def stop():
    for serving in background:
        serving.cancel()
    background.clear()
    await node.stop()


CALLS = {
    "start": start,
    "connectPeer": connect_peer,
    "getCard": get_card,
    "listPeers": list_peers,
    "discover": discover,
    "sendTask": send_task,
    "wait": wait,
    "stream": stream,
    "cancel": cancel,
    "stop": stop,
}


async def run(command):
    try:
        answer = {"id": command["id"], "result": await CALLS[command["call"]](*command["args"])}
    except Exception as error:
        answer = {"id": command["id"], "error": {"name": type(error).__name__, "message": str(error)}}
    print(json.dumps(answer), flush=True)


async def main():
    running = set()
    while line := await asyncio.to_thread(sys.stdin.readline):
        task = asyncio.create_task(run(json.loads(line)))
        running.add(task)
        task.add_done_callback(running.discard)


asyncio.run(main())
