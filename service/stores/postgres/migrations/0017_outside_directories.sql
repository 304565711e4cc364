-- The outside directory that keeps a tenant's users, by its name in the settings: null for the service's default, 'own'
-- for Poplar's own credentials. The provider alone chooses it: poplar_delegate may write no tenant.
ALTER TABLE tenants ADD COLUMN directory text CHECK (directory ~ '^[a-z0-9][a-z0-9-]{0,31}$');

-- A maildrop for somebody whom a directory knows: at the first login, or when the first mail comes. Neither front ends
-- nor LMTP may write maildrops, so this function does with its owner's rights, for a domain of an active tenant that uses
-- just that directory, and where no alias has the address; it writes the audit, and returns nothing but the id.
--
-- It locks the domain's row as staff's acts do, so that nothing comes or goes meanwhile; a repetition after a lost answer
-- finds what the first try made.
CREATE FUNCTION provide_maildrop(the_tenant uuid, the_domain text, the_local text, the_directory text)
RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    the_maildrop uuid;
BEGIN
    IF the_local IS DISTINCT FROM pg_catalog.lower(the_local) OR the_local ~ '[+[:cntrl:][:space:]]' THEN
        RAISE check_violation USING MESSAGE = 'a maildrop''s name is in lower case and has no +, space or control character';
    END IF;
    PERFORM FROM public.tenants t JOIN public.domains d ON d.tenant_id = t.tenant_id
    WHERE t.tenant_id = the_tenant AND d.name = the_domain AND t.status = 'active' AND d.status = 'active'
      AND coalesce(t.directory, the_directory) = the_directory AND the_directory <> 'own'
    FOR NO KEY UPDATE OF d;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT m.maildrop_id INTO the_maildrop FROM public.maildrops m
    WHERE m.tenant_id = the_tenant AND m.domain = the_domain AND m.local = the_local AND m.status <> 'removed';
    IF FOUND THEN
        RETURN the_maildrop;
    END IF;
    PERFORM FROM public.aliases a
    WHERE a.tenant_id = the_tenant AND a.domain = the_domain AND a.local = the_local;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    the_maildrop := pg_catalog.gen_random_uuid();
    INSERT INTO public.maildrops (tenant_id, maildrop_id, domain, local)
    VALUES (the_tenant, the_maildrop, the_domain, the_local);
    INSERT INTO public.audit (tenant_id, actor, action, target, detail)
    VALUES (the_tenant, 'directory:' || the_directory, 'maildrop.create', the_local || '@' || the_domain, '{}');
    RETURN the_maildrop;
END $$;

REVOKE ALL ON FUNCTION provide_maildrop(uuid, text, text, text) FROM PUBLIC;

DO $$
DECLARE
    the_role text;
BEGIN
    FOREACH the_role IN ARRAY ARRAY['poplar_front', 'poplar_lmtp'] LOOP
        IF to_regrole(the_role) IS NOT NULL THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION provide_maildrop(uuid, text, text, text) TO %I', the_role);
        END IF;
    END LOOP;
END $$;
