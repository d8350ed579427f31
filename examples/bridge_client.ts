// Calls an agent through its bridge with nothing but A2A over HTTP: bridge_client.ts URL TEXT
const [url = "http://127.0.0.1:8080", text = "Hello"] = Deno.args;
const response = await fetch(`${url}/message:send`, {
  method: "POST",
  headers: { "content-type": "application/json", "a2a-version": "1.0" },
  body: JSON.stringify({
    message: { role: "ROLE_USER", messageId: crypto.randomUUID(), parts: [{ text }] },
  }),
});
const { task } = await response.json();
console.log(task.status.state, task.artifacts[0].parts[0].text);
