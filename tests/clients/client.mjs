// postgrest-js against the results API of the flights example: `node client.mjs BASE_URL FOLDER_WITH_NODE_MODULES`.
// What is expected is computed from the events themselves.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [base, folder] = process.argv.slice(2);
const { PostgrestClient } = createRequire(`${folder}/`)("@supabase/postgrest-js");
const client = new PostgrestClient(base);

const data = new URL("../../examples/flights/data/flights.ndjson", import.meta.url);
const flights = readFileSync(data, "utf8").trim().split("\n").map((line) => JSON.parse(line));
const long = flights.filter((flight) => flight.delay > 180);

const moment = (text) => `${text.replaceAll("/", "-").replace(" ", "T")}:00Z`;
const sorted = (rows) => rows.map((row) => JSON.stringify(row)).sort();

async function ok(query) {
  const answer = await query;
  assert.equal(answer.error, null, JSON.stringify(answer.error));
  return answer;
}

const checks = {
  async "all rows"() {
    const { data, count } = await ok(client.from("long_delays").select("*", { count: "exact" }).limit(100_000));
    const expected = long.map(({ date, origin, destination, delay }) => ({ date: moment(date), origin, destination, delay }));
    assert.deepEqual(sorted(data), sorted(expected));
    assert.equal(count, long.length);
  },

  async filters() {
    const check = async (query, keep) => {
      const { data } = await ok(query.limit(100_000));
      const expected = long.filter(keep).map(({ origin, delay }) => ({ origin, delay }));
      assert.ok(expected.length > 0);
      assert.deepEqual(sorted(data), sorted(expected));
    };
    const table = () => client.from("long_delays").select("origin,delay");
    await check(table().eq("origin", "JFK"), (f) => f.origin === "JFK");
    await check(table().neq("origin", "JFK"), (f) => f.origin !== "JFK");
    await check(table().gte("delay", 300).lt("delay", 400), (f) => f.delay >= 300 && f.delay < 400);
    await check(table().in("origin", ["JFK", "LGA"]), (f) => ["JFK", "LGA"].includes(f.origin));
    await check(table().ilike("origin", "s%"), (f) => f.origin.startsWith("S"));
    await check(table().not("origin", "eq", "ORD"), (f) => f.origin !== "ORD");
    await check(table().or("origin.eq.JFK,delay.gt.400"), (f) => f.origin === "JFK" || f.delay > 400);
    await check(table().filter("origin", "match", "^[J-L]"), (f) => /^[J-L]/.test(f.origin));
  },

  async "order and range"() {
    const order = (a, b) => b.delay - a.delay || (a.date < b.date ? -1 : a.date > b.date ? 1 : 0);
    const expected = long.toSorted(order).slice(5, 15).map((f) => f.delay);
    const query = client.from("long_delays").select("delay").order("delay", { ascending: false }).order("date");
    const { data, status } = await ok(query.range(5, 14));
    assert.deepEqual(data.map((row) => row.delay), expected);
    assert.ok(status === 200 || status === 206);
  },

  async windows() {
    const hours = new Map();
    for (const flight of flights) {
      const key = `${moment(`${flight.date.slice(0, 13)}:00`)} ${flight.origin}`;
      hours.set(key, (hours.get(key) ?? 0) + 1);
    }
    const { data } = await ok(client.from("hourly").select("start:hour->>start,origin,flights").limit(100_000));
    assert.deepEqual(new Map(data.map((row) => [`${row.start} ${row.origin}`, row.flights]).sort()), new Map([...hours].sort()));
  },

  async "one row"() {
    const { data } = await ok(client.from("delays_by_city").select("city").eq("city", "Chicago").single());
    assert.deepEqual(data, { city: "Chicago" });
    const none = await ok(client.from("delays_by_city").select("city").eq("city", "Atlantis").maybeSingle());
    assert.equal(none.data, null);
    const many = await client.from("delays_by_city").select("city").single();
    assert.equal(many.error?.code, "PGRST116");
  },

  async "head and count"() {
    const { count, data } = await ok(client.from("long_delays").select("*", { count: "exact", head: true }).eq("origin", "ORD"));
    assert.equal(count, long.filter((f) => f.origin === "ORD").length);
    assert.equal(data, null);
  },

  async csv() {
    const { data } = await ok(client.from("busiest_routes").select("origin,destination,flights").csv());
    assert.equal(data.trim().split(/\r?\n/).length, 11);
    assert.ok(data.startsWith("origin,destination,flights"));
  },

  async errors() {
    const wrong = [
      client.from("long_delays").select("orgin"),
      client.from("nothing").select(),
      client.from("long_delays").insert({ origin: "JFK" }),
      client.rpc("f"),
    ];
    for (const query of wrong) {
      const { error } = await query;
      assert.ok(error?.message && error?.code, JSON.stringify(error));
    }
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}\n${error.stack}`);
  }
}
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
