-- Row-level security, forced on every table: a role without a policy sees no row, not even the owner of the tables.
--
-- The processes' own roles, and the owner, have a policy that is always true; the planner drops it, so that their
-- statements cost what they cost before. A delegated admin's requests run as poplar_delegate, which owns nothing, can't
-- log in and can't bypass this: it sees the rows of the tenant that the transaction names in poplar.tenant, and none
-- where it names none. What it may write is what an admin of one tenant may: no tenant, no domain comes or goes.
--
-- A later table needs the same: tests/stores/test_row_security.py reads the catalogue.

DO $$
BEGIN
    CREATE ROLE poplar_delegate NOLOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN RAISE NOTICE 'role poplar_delegate was not created: not allowed';
END $$;

-- Whoever serves the API may become poplar_delegate: its own role, or the owner where one login does everything.
DO $$
DECLARE
    member text;
BEGIN
    FOR member IN SELECT rolname FROM pg_roles WHERE rolname IN ('poplar_api', current_user) AND NOT rolsuper LOOP
        BEGIN
            IF to_regrole('poplar_delegate') IS NOT NULL AND NOT pg_has_role(member, 'poplar_delegate', 'MEMBER') THEN
                EXECUTE format('GRANT poplar_delegate TO %I', member);
            END IF;
        EXCEPTION
            WHEN insufficient_privilege THEN RAISE NOTICE 'poplar_delegate was not granted to %: not allowed', member;
        END;
    END LOOP;
END $$;

DO $$
DECLARE
    every_table CONSTANT text[] := ARRAY[
        'tenants', 'domains', 'maildrops', 'aliases', 'credentials', 'messages', 'fences', 'audit', 'tokens'
    ];
    own CONSTANT text := '(tenant_id = (SELECT nullif(current_setting(''poplar.tenant'', true), '''')::uuid))';
    processes text;
    the_table text;
BEGIN
    SELECT string_agg(quote_ident(rolname), ', ') INTO processes FROM pg_roles
    WHERE rolname IN ('poplar_front', 'poplar_lmtp', 'poplar_sweep', 'poplar_api', current_user);
    FOREACH the_table IN ARRAY every_table LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', the_table);
        EXECUTE format('CREATE POLICY processes ON %I TO %s USING (true) WITH CHECK (true)', the_table, processes);
        IF to_regrole('poplar_delegate') IS NOT NULL THEN
            EXECUTE format('CREATE POLICY delegate ON %I TO poplar_delegate USING %s WITH CHECK %s',
                           the_table, own, own);
        END IF;
    END LOOP;
END $$;

DO $$
BEGIN
    IF to_regrole('poplar_delegate') IS NOT NULL THEN
        GRANT SELECT ON tenants, domains, maildrops, aliases, credentials, messages, audit TO poplar_delegate;
        GRANT UPDATE (status) ON domains TO poplar_delegate;
        GRANT INSERT, UPDATE ON maildrops TO poplar_delegate;
        GRANT INSERT, UPDATE, DELETE ON aliases, credentials TO poplar_delegate;
        GRANT INSERT ON messages, audit TO poplar_delegate;
        GRANT UPDATE (removed_at, removed_in) ON messages TO poplar_delegate;
    END IF;
END $$;
