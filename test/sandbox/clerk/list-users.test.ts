import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { type LocalClerk, startClerk } from "../../../sandbox/clerk/server";
import { ask, clientOf, legacyUser, refusal } from "./people";

const CROWD = 120;
const DAY = 24 * 3_600_000;
const FIRST_DAY = Date.parse("2020-01-01");

const userList = z.array(z.object({ id: z.string(), external_id: z.string() }));

let clerk: LocalClerk;

beforeAll(async () => {
  clerk = await startClerk({ secretKey: "sk_live_list" });
  const { users } = clientOf(clerk);
  for (let number = 0; number < CROWD; number += 1) {
    await users.createUser(
      legacyUser({
        emailAddress: [emailOf(number)],
        externalId: `${number}`,
        createdAt: new Date(FIRST_DAY + number * DAY),
      }),
    );
  }
});

afterAll(() => clerk.stop());

test("gives ten users, newest first, where no limit is asked for", async () => {
  expect(await externalIds("")).toEqual([119, 118, 117, 116, 115, 114, 113, 112, 111, 110].map(String));
});

test("finds a hundred addresses at once, in whatever order, and loses ninety without a limit", async () => {
  const query = new URLSearchParams(
    Array.from({ length: 100 }, (_, number) => ["email_address", emailOf(number)]),
  );
  expect(await externalIds(query.toString())).toHaveLength(10);
  query.append("limit", "100");
  expect(await externalIds(query.toString())).toHaveLength(100);
});

test("refuses a hundred and one values", async () => {
  const externalId = Array.from({ length: 101 }, (_, number) => `${number}`);
  const refused = await refusal(clientOf(clerk).users.getUserList({ externalId }));
  expect(refused).toMatchObject({ status: 422, code: "form_param_array_size_exceeded" });
});

test("ignores values that nobody has, and needs all filters to agree", async () => {
  expect(await externalIds("external_id=5&external_id=nobody")).toEqual(["5"]);
  expect(await externalIds(`external_id=5&email_address=${emailOf(6)}`)).toEqual([]);
});

test("leaves out what a minus stands before", async () => {
  expect(await externalIds("external_id=-119&limit=2")).toEqual(["118", "117"]);
});

test("walks everybody once with the last id as the cursor", async () => {
  const seen: string[] = [];
  for (let cursor = ""; ;) {
    const page = await list(`limit=50${cursor}`);
    seen.push(...page.map((user) => user.external_id));
    const last = page.at(-1);
    if (page.length < 50 || !last) break;
    cursor = `&starting_after=${last.id}`;
  }
  expect(seen).toEqual(Array.from({ length: CROWD }, (_, number) => `${CROWD - 1 - number}`));
});

test("takes a cursor only in order of creation and without an offset", async () => {
  const id = (await list("limit=1"))[0]?.id ?? "nobody";
  expect((await get(`starting_after=${id}&order_by=email_address`)).status).toBe(422);
  expect((await get(`starting_after=${id}&offset=10`)).status).toBe(422);
});

test("orders and selects by time", async () => {
  expect(await externalIds("order_by=created_at&limit=2")).toEqual(["0", "1"]);
  expect(await externalIds(`created_at_before=${FIRST_DAY + 2 * DAY}`)).toEqual(["1", "0"]);
  expect(await externalIds(`last_sign_in_at_after=${FIRST_DAY}`)).toEqual([]);
});

test("searches parts of addresses in any case", async () => {
  expect(await externalIds("email_address_query=USER7%40")).toEqual(["7"]);
});

test("counts what a list would find, as the SDK asks in a second request", async () => {
  const { data, totalCount } = await clientOf(clerk).users.getUserList({ query: "user11", limit: 2 });
  expect(data).toHaveLength(2);
  expect(totalCount).toBe(11);
  expect(
    clerk.store.requests
      .slice(-2)
      .map((request) => request.kind)
      .sort(),
  ).toEqual(["GET /users", "GET /users/count"]);
});

test.each([["limit=0"], ["limit=501"], ["limit=ten"], ["offset=-1"], ["order_by=shoe_size"]])(
  "refuses %s",
  async (query) => {
    expect((await get(query)).status).toBe(422);
  },
);

function emailOf(number: number): string {
  return `user${number}@example.com`;
}

async function externalIds(query: string): Promise<string[]> {
  return (await list(query)).map((user) => user.external_id);
}

async function list(query: string) {
  return userList.parse(await (await get(query)).json());
}

function get(query: string): Promise<Response> {
  return ask(clerk, "GET", `/users?${query}`);
}
