// fhirclient.js pages through a search to its end, and gives the ids it got. Prints JSON.
const { readFileSync } = require("node:fs");
const FHIR = require("fhirclient");

const { E2E_BASE: serverUrl, E2E_TOKEN: access_token } = process.env;
const client = FHIR({ headers: {}, url: "/" }, {}, {}).client({ serverUrl, tokenResponse: { access_token } });

(async () => {
  const told = {};
  for (const [name, [type, parameters]] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
    const query = new URLSearchParams(parameters);
    const found = await client.request(`${type}?${query}`, { pageLimit: 0, flat: true });
    told[name] = found.map((one) => one.id);
  }
  console.log(JSON.stringify(told));
})();
