-- Four group roles, one for each kind of process, each allowed what its process does and nothing else. They can't log
-- in: a login of its own joins the group (service/stores/postgres/logins.py). Where the owner may not create roles,
-- a notice says so and the schema works without them.

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['poplar_front', 'poplar_lmtp', 'poplar_sweep', 'poplar_api'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        EXCEPTION
            -- Roles belong to the whole cluster: another database's migration may have made it, even this instant.
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN RAISE NOTICE 'role % was not created: not allowed', wanted;
        END;
    END LOOP;
END $$;

REVOKE ALL ON FUNCTION open_maildrop(uuid, uuid, uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION remove_messages(uuid, uuid, uuid, bigint[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION expire_messages(uuid, uuid, timestamptz, bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION forget_messages(uuid[], uuid[], bigint[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION append_messages(
    uuid[], uuid[], uuid[], text[], bigint[], bigint[], boolean[], text[], bytea[], bytea[], timestamptz[]
) FROM PUBLIC;

DO $$
BEGIN
    IF to_regrole('poplar_front') IS NOT NULL THEN
        GRANT SELECT ON tenants, domains, maildrops, aliases, credentials, messages, fences TO poplar_front;
        GRANT INSERT, UPDATE ON fences TO poplar_front;
        GRANT UPDATE (messages, octets, removals) ON maildrops TO poplar_front;
        GRANT UPDATE (removed_at, removed_in, removed_by) ON messages TO poplar_front;
        GRANT EXECUTE ON FUNCTION open_maildrop(uuid, uuid, uuid) TO poplar_front;
        GRANT EXECUTE ON FUNCTION remove_messages(uuid, uuid, uuid, bigint[]) TO poplar_front;
    END IF;
    IF to_regrole('poplar_lmtp') IS NOT NULL THEN
        GRANT SELECT ON tenants, domains, maildrops, aliases TO poplar_lmtp;
        GRANT SELECT (tenant_id, maildrop_id, unique_id) ON messages TO poplar_lmtp;
        GRANT INSERT ON messages TO poplar_lmtp;
        GRANT UPDATE (messages, octets, next_sequence) ON maildrops TO poplar_lmtp;
        GRANT EXECUTE ON FUNCTION append_messages(
            uuid[], uuid[], uuid[], text[], bigint[], bigint[], boolean[], text[], bytea[], bytea[], timestamptz[]
        ) TO poplar_lmtp;
    END IF;
    IF to_regrole('poplar_sweep') IS NOT NULL THEN
        GRANT SELECT ON tenants, domains, maildrops, aliases, messages TO poplar_sweep;
        GRANT DELETE ON tenants, domains, maildrops, messages TO poplar_sweep;
        GRANT UPDATE (messages, octets, removals) ON maildrops TO poplar_sweep;
        GRANT UPDATE (removed_at, removed_in) ON messages TO poplar_sweep;
        GRANT EXECUTE ON FUNCTION expire_messages(uuid, uuid, timestamptz, bigint) TO poplar_sweep;
        GRANT EXECUTE ON FUNCTION forget_messages(uuid[], uuid[], bigint[]) TO poplar_sweep;
    END IF;
    IF to_regrole('poplar_api') IS NOT NULL THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON tenants, domains, maildrops, aliases, credentials TO poplar_api;
        GRANT SELECT, INSERT ON messages, audit TO poplar_api;
        GRANT UPDATE (removed_at, removed_in) ON messages TO poplar_api;
    END IF;
END $$;
