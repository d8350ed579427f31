/**
 * Who may do what: rules, limits and the audit log. Knows no wire; the engine asks it. Imports `a2a/` and `identity/`; the
 * daemon disposes of it.
 *
 * @module
 */
export { type AclRequest, type AclVerdict, judge, type Party, wantedBy } from "./acl.ts";
export { openPolicy } from "./open_policy.ts";
export { basicParty, Policy, type PolicyDeps } from "./policy.ts";
