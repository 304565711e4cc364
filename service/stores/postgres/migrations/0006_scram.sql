-- The keys that SCRAM-SHA-256 needs of a password, beside its verifier: one credential, so that a change, a suspension
-- and an expiry bind both (RFC 5803 §1 has the form). Null where the service doesn't offer SCRAM.
ALTER TABLE credentials ADD COLUMN scram text;
