// fhirclient.js on a server, used as its documentation says; the purpose travels in the token. Prints JSON.
const { readFileSync } = require("node:fs");
const FHIR = require("fhirclient");

const { E2E_BASE: serverUrl, E2E_TOKEN: access_token } = process.env;
const pushed = JSON.parse(readFileSync(0, "utf8"));
const request = { headers: {}, url: "/" };
const client = FHIR(request, {}, {}).client({ serverUrl, tokenResponse: { access_token, patient: "rosa" } });

const json = { "content-type": "application/json" };
const push = (body) => client.request({ url: "", method: "POST", body: JSON.stringify(body), headers: json });
const refusal = async (call) => {
  try {
    await call();
    return [0, ""];
  } catch (error) {
    return [error.status, (error.message.match(/"diagnostics":\s*"([^"]*)"/) ?? error.message.split("\n"))[1]];
  }
};

(async () => {
  const every = { pageLimit: 0, flat: true };
  const paged = await client.request("Observation?patient=rosa&_count=3", every);
  const conditions = await client.request("Condition?patient=rosa&_count=100");
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const posted = await client.request({
    url: "Condition/_search",
    method: "POST",
    body: "patient=rosa",
    headers: form,
  });
  const encounters = await client.request("Encounter?patient=rosa", {
    ...every,
    resolveReferences: ["serviceProvider"],
  });
  const transaction = await push(pushed.plain);
  console.log(
    JSON.stringify({
      metadata: await client.getFhirVersion(),
      paged: paged.map((one) => one.id),
      posted: posted.entry.map((entry) => entry.resource.id),
      total: conditions.total,
      patient: (await client.patient.read()).id,
      of_patient: (await client.patient.request("Condition")).entry.map((entry) => entry.resource.id),
      encounters: encounters.map((one) => [one.id, one.serviceProvider.id]),
      read: (await client.request("Condition/rosa-diabetes")).id,
      hidden: (await refusal(() => client.request("Condition/rosa-opioid-dependence")))[0],
      pushed: transaction.entry.map((entry) => entry.response.status),
      push_refused: await refusal(() => push(pushed.part2)),
      refused: {
        create: await refusal(() => client.create({ resourceType: "Patient" })),
        delete: await refusal(() => client.delete("Patient/rosa")),
        "patient.request of all": await refusal(() => client.request("Condition")),
        _summary: await refusal(() => client.request("Condition?patient=rosa&_summary=count")),
      },
    }),
  );
})();
