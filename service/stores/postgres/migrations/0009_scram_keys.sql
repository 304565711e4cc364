-- A front end that found a password right may give its credential keys for SCRAM-SHA-256, though it may write no
-- credential: as with replace_verifier, the caller must know the tenant, the maildrop, the credential and the whole
-- verifier that stands there. It adds keys where there are none, never replaces any, and reads nothing back; the same keys
-- may be added twice, so that a repetition after a lost answer says true again.

CREATE FUNCTION add_scram_keys(
    the_tenant uuid, the_maildrop uuid, the_credential uuid, the_verifier text, the_keys text
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    IF the_keys !~ '^SCRAM-SHA-256\$[1-9][0-9]{3,6}:[A-Za-z0-9+/]+={0,2}\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$' THEN
        RAISE check_violation USING MESSAGE = 'these are no keys for SCRAM-SHA-256';
    END IF;
    UPDATE public.credentials c SET scram = the_keys
    WHERE c.tenant_id = the_tenant AND c.maildrop_id = the_maildrop AND c.credential_id = the_credential
      AND c.verifier = the_verifier AND c.kind = 'password' AND (c.scram IS NULL OR c.scram = the_keys)
      AND c.status = 'active' AND (c.expires IS NULL OR c.expires > pg_catalog.now());
    RETURN FOUND;
END $$;

REVOKE ALL ON FUNCTION add_scram_keys(uuid, uuid, uuid, text, text) FROM PUBLIC;

DO $$
BEGIN
    IF to_regrole('poplar_front') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION add_scram_keys(uuid, uuid, uuid, text, text) TO poplar_front;
    END IF;
END $$;
