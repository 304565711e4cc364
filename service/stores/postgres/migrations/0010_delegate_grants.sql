-- Whoever creates a role administers it from Postgres 16 on, and is a member who may not become it: an owner with one login
-- for everything is granted that too, or the API could serve no tenant's admin.
DO $$
DECLARE
    becoming CONSTANT text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
    member text;
BEGIN
    FOR member IN SELECT rolname FROM pg_roles WHERE rolname IN ('poplar_api', current_user) AND NOT rolsuper LOOP
        BEGIN
            IF to_regrole('poplar_delegate') IS NOT NULL AND NOT pg_has_role(member, 'poplar_delegate', becoming) THEN
                EXECUTE format('GRANT poplar_delegate TO %I', member);
            END IF;
        EXCEPTION
            WHEN insufficient_privilege THEN RAISE NOTICE 'poplar_delegate was not granted to %: not allowed', member;
        END;
    END LOOP;
END $$;
