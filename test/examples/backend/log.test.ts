import { expect, test } from "vitest";

import { describeError } from "../../../examples/backend/logging";
import { hashOf } from "../../../examples/backend/tokens";
import { sessionCreated, signed, userEvent } from "../../../sandbox/clerk/webhooks";
import { MARCUS, SARAH } from "../../systems";
import { openBackend } from "./backend";

test("the log holds no password, token, digest, key or address, whatever happens", async () => {
  const backend = await openBackend({ TRICKLE: "on" });
  const user = await backend.migrate(SARAH, "reset");
  const { cookie } = await backend.logIn(SARAH);
  await backend.logIn(SARAH, "a wrong password");
  const token = await backend.signInToClerk(SARAH);
  await backend.get("/me", { token });
  await backend.get(`/chat-sessions?token=${token}&email=${SARAH.email}`, { cookie });
  await backend.get(`/nowhere/${SARAH.email}`, { cookie: `__session=${token}` });
  await backend.post("/logout", {}, { cookie });
  await backend.on.query("insert into password_resets values ($1, $2, now() + interval '1 hour')", [
    hashOf("reset-token"),
    MARCUS.userId,
  ]);
  await backend.post("/password-reset", { token: "reset-token", password: "the next password" });
  await backend.send(sessionCreated(backend.on.clerk, backend.session(user)));
  await backend.send(userEvent("user.created", user));
  const forged = signed(
    backend.on.clerk,
    "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=",
    userEvent("user.created", user),
  );
  await backend.deliver(forged);
  await backend.post("/login", { email: SARAH.email });
  // Postgres quotes what it stumbles over, and so would a log that repeats its words.
  await backend.on.query("alter table users rename column password_hash to gone");
  expect(await backend.logIn(MARCUS)).toMatchObject({
    status: 500,
    body: { error: "Something went wrong." },
  });

  const log = backend.log.join("");
  expect(backend.log.length).toBeGreaterThan(20);
  expect(log).toContain("request failed");
  const secrets = [
    ...[SARAH.email, MARCUS.email, SARAH.password, MARCUS.password, "a wrong password", "the next password"],
    ...[token, cookie, cookie.replace("__Host-app_session=", ""), "reset-token", backend.secret],
    ...[SARAH.passwordDigest, SARAH.name, backend.on.clerk.secretKey, "@example", "$2b$", "127.0.0.1:5"],
  ];
  expect(secrets.filter((secret) => secret !== null && log.includes(secret))).toEqual([]);
  expect(await backend.close()).toEqual([]);
});

test("an error is described by its kind, code and place, not by its words", () => {
  const error = Object.assign(new Error("sarah@example.com is taken"), { code: "23505" });
  const described = describeError(error);
  expect(described).toMatchObject({ type: "Error", message: "23505" });
  expect(described.stack).toContain("log.test.ts");
  expect(JSON.stringify(described)).not.toContain("sarah");
  expect(describeError("sarah@example.com")).toEqual({ type: "string", message: "", stack: "" });
});
