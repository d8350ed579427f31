import type { McpServer, ServerEvent } from "@modelcontextprotocol/server";
import type { McpService } from "./service.ts";
import type { Watches } from "./watches.ts";

/**
 * Tells the client of `server` what changes, until the server closes. Clients before revision 2026-07-28 subscribe to single
 * resources by `resources/subscribe`; for later ones the transport filters by what they listen to.
 */
export function connectChanges(
  server: McpServer,
  service: McpService,
  options: { watches: Watches; isLegacy: boolean },
): void {
  const { watches, isLegacy } = options;
  const protocol = server.server;
  const tell = async (event: ServerEvent) => {
    if (!server.isConnected()) return;
    switch (event.kind) {
      case "tools_list_changed":
        return await protocol.sendToolListChanged();
      case "prompts_list_changed":
        return await protocol.sendPromptListChanged();
      case "resources_list_changed":
        return await protocol.sendResourceListChanged();
      case "resource_updated":
        if (!isLegacy || watches.has(event.uri)) await protocol.sendResourceUpdated({ uri: event.uri });
        return;
      default:
        return event satisfies never;
    }
  };
  const unsubscribe = service.changes.subscribe((event) => {
    tell(event).catch(() => {}); // the client has gone: its transport has said so already
  });
  if (isLegacy && protocol.getCapabilities().resources?.subscribe) {
    protocol.setRequestHandler("resources/subscribe", ({ params }) => {
      watches.add(params.uri);
      return {};
    });
    protocol.setRequestHandler("resources/unsubscribe", ({ params }) => {
      watches.remove(params.uri);
      return {};
    });
  }
  const { onclose } = protocol;
  protocol.onclose = () => {
    unsubscribe();
    watches[Symbol.dispose]();
    onclose?.();
  };
}
