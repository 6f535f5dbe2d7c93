// The names of what `seed/provider.toml` declares.
export const PASSWORD = "portico-browser-tests";
// The simulator's token for a panel; its README has it, it is no secret.
export const TOKEN = "7f0a3c52-6a4e-4b1d-9a57-0d6f3b8e21c4";

export const customers = {
  anna: { email: "anna@example.com", name: "Anna Berger" },
  ben: { email: "ben@example.com", name: "Ben Okafor" },
};

/** Services by what they are there for. */
export const services = {
  /** Running, with one snapshot of three; Anna's. */
  web: { id: "11111111-1111-4111-8111-000000000100", vmid: 100, host: "web1.example.net" },
  /** Stopped; Anna's. */
  switched: { id: "11111111-1111-4111-8111-000000000102", vmid: 102, host: "staging.example.net" },
  /** Snapshots live for 20 seconds; Anna's. */
  brief: { id: "11111111-1111-4111-8111-000000000103", vmid: 103, host: "build.example.net" },
  /** Two snapshots of two; Anna's. */
  full: { id: "11111111-1111-4111-8111-000000000106", vmid: 106, host: "mail.example.net" },
  /** Running, for the browser without scripts; Anna's. */
  plain: { id: "11111111-1111-4111-8111-000000000104", vmid: 104, host: "windows.example.net" },
  /** On a product without snapshots; Ben's. */
  basic: { id: "11111111-1111-4111-8111-000000000101", vmid: 101, host: "db1.example.org" },
};

export const page = (service, path) => `/services/${service.id}/${path}`;
