// fhir-kit-client, used as its README says: search, page, read and push, then what the gateway refuses. Prints JSON.
import { readFileSync } from "node:fs";
import { Client } from "fhir-kit-client";

const { E2E_BASE: baseUrl, E2E_TOKEN: bearerToken, E2E_PURPOSE: purpose } = process.env;
const client = new Client({ baseUrl, bearerToken, customHeaders: { "X-Purpose-Of-Use": purpose } });
const pushed = JSON.parse(readFileSync(0, "utf8"));

const ids = (bundle) => (bundle.entry ?? []).map((entry) => entry.resource.id);
const refusal = async (call) => {
  try {
    await call();
    return [0, ""];
  } catch (error) {
    return [error.response.status, error.response.data.issue[0].diagnostics];
  }
};

const paged = [];
let page = await client.search({ resourceType: "Observation", searchParams: { patient: "rosa", _count: 3 } });
while (page) {
  paged.push(...ids(page));
  page = await client.nextPage({ bundle: page });
}
const posted = await client.search({
  resourceType: "Condition",
  searchParams: { patient: "rosa" },
  options: { postSearch: true },
});
const encounters = await client.search({
  resourceType: "Encounter",
  searchParams: { patient: "rosa", _include: "Encounter:service-provider" },
});
const read = await client.read({ resourceType: "Condition", id: "rosa-diabetes" });
const transaction = await client.transaction({ body: pushed.plain });
const batch = await client.batch({ body: { ...pushed.part2, type: "batch" } });

console.log(
  JSON.stringify({
    metadata: (await client.capabilityStatement()).fhirVersion,
    smart: await client.smartAuthMetadata(),
    paged,
    posted: ids(posted),
    total: posted.total,
    with_included: ids(encounters).filter((id) => !id.startsWith("rosa")),
    read: read.id,
    resolved: (await client.resolve({ reference: read.subject.reference })).id,
    hidden: (await refusal(() => client.read({ resourceType: "Condition", id: "rosa-opioid-dependence" })))[0],
    pushed: transaction.entry.map((entry) => entry.response.status),
    push_refused: await refusal(() => client.transaction({ body: pushed.part2 })),
    batch: batch.entry.map((entry) => entry.response.status),
    refused: {
      create: await refusal(() => client.create({ resourceType: "Patient", body: { resourceType: "Patient" } })),
      vread: await refusal(() => client.vread({ resourceType: "Patient", id: "rosa", version: "1" })),
      history: await refusal(() => client.history({ resourceType: "Patient", id: "rosa" })),
      systemSearch: await refusal(() => client.systemSearch({ searchParams: { _id: "rosa" } })),
      compartmentSearch: await refusal(() =>
        client.compartmentSearch({
          resourceType: "Condition",
          compartment: { resourceType: "Patient", id: "rosa" },
        }),
      ),
      operation: await refusal(() =>
        client.operation({ name: "everything", resourceType: "Patient", id: "rosa", method: "GET" }),
      ),
      _sort: await refusal(() =>
        client.search({ resourceType: "Condition", searchParams: { patient: "rosa", _sort: "-date" } }),
      ),
    },
  }),
);
