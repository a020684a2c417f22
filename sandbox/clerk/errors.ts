/** Everything Clerk says no with, by what it is about. */
export * from "./errors/keys-and-limits";
export * from "./errors/parameters";
export * from "./errors/passwords";
export * from "./errors/refusal";
export * from "./errors/requests";
export * from "./errors/resources";
export * from "./errors/sign-in";
