/**
 * This node's agent for clients of the Agent Network Protocol (ANP) over HTTP. Knows the engine and the agents' network, no
 * other wire; the daemon disposes of what is started here.
 *
 * @module
 */
export { type AnpAppDeps, type AnpAppOptions, createAnpApp, isAnpPath } from "./anp_app.ts";
export { createAnp, startAnp } from "./start_anp.ts";
