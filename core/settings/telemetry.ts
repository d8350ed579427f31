import { flag, optionalText, ratio } from "../setting.ts";

/** `[telemetry]`: traces for an OpenTelemetry collector. */
export const TELEMETRY_SETTINGS = {
  enabled: flag(false, "send traces to the collector"),
  otlpEndpoint: {
    ...optionalText("OTLP/HTTP collector, such as http://127.0.0.1:4318; giving it switches traces on", {
      flag: "otlp-endpoint",
      env: "AGENTANYCAST_OTLP_ENDPOINT",
    }),
    enables: true,
  },
  sampleRate: ratio(1, "share of the traces begun here that are sent, 0 to 1", {
    env: "AGENTANYCAST_SAMPLE_RATE",
  }),
  insecure: flag(true, "accepted for existing configuration files: the scheme of the endpoint decides"),
};
