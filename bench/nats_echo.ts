/** Answers each request with its own bytes, at the NATS server whose address is the first argument. */
import { connect } from "@nats-io/transport-node";

const SUBJECT = "echo";
const connection = await connect({ servers: Deno.args[0] ?? "" });
connection.subscribe(SUBJECT, {
  callback(error, message) {
    if (error !== null) throw error;
    message.respond(message.data);
  },
});
await connection.flush();
console.log(`READY=${SUBJECT}`);
