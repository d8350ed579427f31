import type { JsonObject, JsonValue } from "../model.ts";
import { asList, isObject, present, textOrNothing } from "./json.ts";

/** Where a card in the words of 1.0 keeps what only 0.3 says; it is left out when 1.0 is written. */
export const ONLY_V03 = "v03";

const SCHEMES = [
  ["apiKey", "apiKeySecurityScheme"],
  ["http", "httpAuthSecurityScheme"],
  ["oauth2", "oauth2SecurityScheme"],
  ["openIdConnect", "openIdConnectSecurityScheme"],
  ["mutualTLS", "mtlsSecurityScheme"],
] as const;

/** A card of 1.0 as one of 0.3. The interfaces of 1.0 stay beside its own, which say less. */
export function toCardV03(card: JsonObject): JsonObject {
  const { [ONLY_V03]: only, supportedInterfaces, capabilities, skills, ...rest } = card;
  const { securitySchemes, securityRequirements, ...members } = rest;
  const { extendedAgentCard, ...can } = isObject(capabilities) ? capabilities : {};
  const { stateTransitionHistory, ...kept } = isObject(only) ? only : {};
  return present({
    ...members,
    ...(only === undefined ? { ...toEndpoints(supportedInterfaces), supportedInterfaces } : kept),
    capabilities: present({ ...can, stateTransitionHistory }),
    supportsAuthenticatedExtendedCard: extendedAgentCard,
    securitySchemes: mapMembers(securitySchemes, toSchemeV03),
    security: mapList(securityRequirements, toRequirementV03),
    skills: mapList(skills, (skill) => {
      const { securityRequirements: required, ...said } = skill;
      return present({ ...said, security: mapList(required, toRequirementV03) });
    }),
  });
}

function toEndpoints(supportedInterfaces: JsonValue | undefined): JsonObject {
  const interfaces = asList(supportedInterfaces, "supportedInterfaces of the card").filter(isObject);
  const endpoints = interfaces.map(({ url, protocolBinding }) =>
    present({ url, transport: protocolBinding })
  );
  return present({
    protocolVersion: "0.3.0",
    url: endpoints[0]?.url ?? "",
    preferredTransport: endpoints[0]?.transport,
    additionalInterfaces: endpoints.length > 1 ? endpoints : undefined,
  });
}

/** A card of 0.3 in the words of 1.0. */
export function fromCardV03(card: JsonObject): JsonObject {
  const { protocolVersion, url, preferredTransport, additionalInterfaces, supportedInterfaces, ...rest } =
    card;
  const { capabilities, supportsAuthenticatedExtendedCard, securitySchemes, security, skills, ...members } =
    rest;
  const { stateTransitionHistory, ...can } = isObject(capabilities) ? capabilities : {};
  const endpoints = { protocolVersion, url, preferredTransport, additionalInterfaces };
  return present({
    ...members,
    supportedInterfaces: supportedInterfaces ?? fromEndpoints(endpoints),
    [ONLY_V03]: supportedInterfaces === undefined
      ? present({ ...endpoints, stateTransitionHistory })
      : undefined,
    capabilities: present({ ...can, extendedAgentCard: supportsAuthenticatedExtendedCard }),
    securitySchemes: mapMembers(securitySchemes, fromSchemeV03),
    securityRequirements: mapList(security, fromRequirementV03),
    skills: mapList(skills, (skill) => {
      const { security: required, ...said } = skill;
      return present({ ...said, securityRequirements: mapList(required, fromRequirementV03) });
    }),
  });
}

type Endpoints = Readonly<Record<string, JsonValue | undefined>>;

function fromEndpoints(endpoints: Endpoints): JsonObject[] {
  const { protocolVersion, url, preferredTransport = "JSONRPC", additionalInterfaces } = endpoints;
  const version = textOrNothing(protocolVersion)?.split(".").slice(0, 2).join(".") ?? "0.3";
  const more = asList(additionalInterfaces, "additionalInterfaces of the card").filter(isObject);
  const all = [{ url, transport: preferredTransport }, ...more];
  const isNew = (at: number) =>
    all.findIndex((one) => one.url === all[at]?.url && one.transport === all[at]?.transport) === at;
  return all.filter((one, at) => textOrNothing(one.url) !== undefined && isNew(at)).map((one) =>
    present({ url: one.url, protocolBinding: one.transport, protocolVersion: version })
  );
}

function toSchemeV03(scheme: JsonObject): JsonObject {
  const [name, inner] = Object.entries(scheme)[0] ?? [];
  const type = SCHEMES.find(([, newer]) => newer === name)?.[0];
  if (type === undefined || !isObject(inner)) return scheme;
  const { location, ...rest } = inner;
  return present({ type, ...rest, in: location });
}

function fromSchemeV03(scheme: JsonObject): JsonObject {
  const { type, in: location, ...rest } = scheme;
  const name = SCHEMES.find(([older]) => older === type)?.[1];
  return name === undefined ? scheme : { [name]: present({ ...rest, location }) };
}

function toRequirementV03(requirement: JsonObject): JsonObject {
  return mapMembers(requirement.schemes, ({ list = [] }) => list) ?? {};
}

function fromRequirementV03(requirement: JsonObject): JsonObject {
  const schemes = Object.entries(requirement).map(([name, scopes]): [string, JsonObject] => [
    name,
    Array.isArray(scopes) && scopes.length > 0 ? { list: scopes } : {},
  ]);
  return { schemes: Object.fromEntries(schemes) };
}

function mapList(
  value: JsonValue | undefined,
  map: (item: JsonObject) => JsonObject,
): JsonValue[] | undefined {
  if (value === undefined) return undefined;
  return asList(value, "the list").map((item) => isObject(item) ? map(item) : item);
}

function mapMembers(
  value: JsonValue | undefined,
  map: (item: JsonObject) => JsonValue,
): JsonObject | undefined {
  if (!isObject(value)) return undefined;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, isObject(item) ? map(item) : item]),
  );
}
