/** An agent that lists this extension takes a message of the same id and content once, however often it is sent. */
export const IDEMPOTENT_SEND = "urn:agentanycast:a2a-idempotent-send:1";
