import type { SampleUser } from "../../../../sandbox/sample-users";
import { legacyUsers } from "../../../systems";

const withPassword = legacyUsers.filter((user) => user.passwordDigest?.startsWith("$2b$10$") === true);

/** Somebody with a legacy password whom no other test of the file knows: they share one backend. */
export function people(): () => SampleUser {
  const left = [...withPassword];
  return () => {
    const user = left.shift();
    if (user === undefined) throw new Error("The sample has nobody left.");
    return user;
  };
}
