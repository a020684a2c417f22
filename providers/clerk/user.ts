import { z } from "zod";

/** What we write into a Clerk user's private metadata, under `markKey`: which migration made or adopted it. */
export interface Mark {
  /** The migration id, which no renaming changes. */
  readonly migration: string;
  /** The account was there before us: it is never deleted, even where the ledger has forgotten it. */
  readonly adopted?: boolean | undefined;
  /** Of an adopted one: the external id was empty, and is ours to take away again. */
  readonly externalIdSet?: boolean | undefined;
}

/** Whose marks are ours. */
export interface MarkOwner {
  /** Empty where the migration has no id yet. */
  readonly migrationId: string;
  /** `<project>/<stack>`: earlier versions marked with these names. */
  readonly stacks: ReadonlySet<string>;
}

export const markKey = "clerk_migration";

/** A timestamp as Clerk sends it: milliseconds since 1970. */
const milliseconds = z
  .number()
  .nullish()
  .transform((value) => value ?? null);

const emailSchema = z
  .object({
    id: z.string(),
    email_address: z.string(),
    reserved: z.boolean().nullish(),
    verification: z.object({ status: z.string() }).nullish(),
  })
  .transform((email) => ({
    id: email.id,
    address: email.email_address,
    isVerified: email.verification?.status === "verified",
    /** Nobody else can have it; an address that is neither verified nor reserved is still free. */
    isClaimed: email.verification?.status === "verified" || email.reserved === true,
  }));

/** The part of Clerk's user object that we act on; everything else of it never leaves this module. */
export const clerkUserSchema = z
  .object({
    id: z.string(),
    external_id: z.string().nullish(),
    primary_email_address_id: z.string().nullish(),
    email_addresses: z.array(emailSchema),
    first_name: z.string().nullish(),
    last_name: z.string().nullish(),
    username: z.string().nullish(),
    phone_numbers: z.array(z.object({ phone_number: z.string() })).default([]),
    private_metadata: z.record(z.string(), z.unknown()).nullish(),
    password_enabled: z.boolean().nullish(),
    password_last_updated_at: milliseconds,
    last_sign_in_at: milliseconds,
    created_at: milliseconds,
    banned: z.boolean().nullish(),
    locked: z.boolean().nullish(),
  })
  .transform((user) => ({
    id: user.id,
    externalId: user.external_id ?? null,
    emails: user.email_addresses,
    primaryEmail:
      user.email_addresses.find((email) => email.id === user.primary_email_address_id)?.address ?? null,
    firstName: user.first_name ?? null,
    lastName: user.last_name ?? null,
    username: user.username ?? null,
    phoneNumbers: user.phone_numbers.map((phone) => phone.phone_number),
    mark: markSchema.safeParse(user.private_metadata?.[markKey]).data ?? null,
    passwordEnabled: user.password_enabled ?? false,
    passwordLastUpdatedAt: user.password_last_updated_at,
    lastSignInAt: user.last_sign_in_at,
    createdAt: user.created_at,
    banned: user.banned ?? false,
    locked: user.locked ?? false,
  }));

/** As it is found: of today's form, or of the earlier one, which named project and stack. */
const markSchema = z
  .object({
    migration: z.string().min(1).optional(),
    stack: z.string().min(1).optional(),
    adopted: z.boolean().default(false),
    externalIdSet: z.boolean().optional(),
  })
  .refine(({ migration, stack }) => migration !== undefined || stack !== undefined);

export type FoundMark = z.infer<typeof markSchema>;

export type ClerkUser = z.infer<typeof clerkUserSchema>;

export function isOurMark(
  mark: Pick<FoundMark, "migration" | "stack"> | null,
  { migrationId, stacks }: MarkOwner,
): boolean {
  if (mark === null) return false;
  if (mark.migration !== undefined) return mark.migration === migrationId;
  return mark.stack !== undefined && stacks.has(mark.stack);
}

/** Ours means external id and mark: either alone is somebody else's. */
export function isOurs(user: ClerkUser, userId: string, owner: MarkOwner): boolean {
  return user.externalId === userId && isOurMark(user.mark, owner);
}

/**
 * Adopted by us for this row. Where that was cut off, or the account is half given back, it has our mark and no
 * external id: the mark comes first and goes last.
 */
export function isAdopted(user: ClerkUser, userId: string, owner: MarkOwner): boolean {
  const isForRow = user.externalId === userId || user.externalId === null;
  return isForRow && isOurMark(user.mark, owner) && user.mark?.adopted === true;
}

/** What we write into an invitation's public metadata. */
export interface InvitationMark {
  readonly migration: string;
  readonly userId: string;
  /** Which reminder; absent for the first mail. */
  readonly number?: number;
}

const invitationMarkSchema = markSchema.safeExtend({ userId: z.string(), number: z.number().default(0) });

export const invitationSchema = z
  .object({
    id: z.string(),
    email_address: z.string(),
    status: z.string(),
    created_at: z.number(),
    public_metadata: z.record(z.string(), z.unknown()).nullish(),
  })
  .transform((invitation) => ({
    id: invitation.id,
    emailAddress: invitation.email_address,
    status: invitation.status,
    createdAt: invitation.created_at,
    mark: invitationMarkSchema.safeParse(invitation.public_metadata?.[markKey]).data ?? null,
  }));

/** Without its url, which is a credential. */
export type ClerkInvitation = z.infer<typeof invitationSchema>;
