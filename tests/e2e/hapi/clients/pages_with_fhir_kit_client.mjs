// fhir-kit-client pages through a search to its end, and gives the ids it got. Prints JSON.
import { readFileSync } from "node:fs";
import { Client } from "fhir-kit-client";

const { E2E_BASE: baseUrl, E2E_TOKEN: bearerToken, E2E_PURPOSE: purpose } = process.env;
const client = new Client({ baseUrl, bearerToken, customHeaders: { "X-Purpose-Of-Use": purpose } });
const told = {};
for (const [name, [resourceType, searchParams]] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  told[name] = [];
  let page = await client.search({ resourceType, searchParams });
  while (page) {
    told[name].push(...page.entry.map((entry) => entry.resource.id));
    page = await client.nextPage({ bundle: page });
  }
}
console.log(JSON.stringify(told));
