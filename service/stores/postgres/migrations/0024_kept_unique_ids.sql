-- An import keeps another server's unique-ids, and asks first which of them a maildrop has already: two messages of one
-- maildrop never have the same. It has the rights of deliveries, which saw only Poplar's own unique-ids.

DO $$
BEGIN
    IF to_regrole('poplar_lmtp') IS NOT NULL THEN
        GRANT SELECT (imported_unique_id) ON messages TO poplar_lmtp;
    END IF;
END $$;
