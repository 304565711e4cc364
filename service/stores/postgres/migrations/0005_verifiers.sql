-- A front end that verified a password stored by another scheme may renew its verifier, though it may write no
-- credential: this function does so with its owner's rights. The caller must know the tenant, the maildrop, the
-- credential and the whole verifier that stands there; the new one must be Argon2id. It reads nothing back.
--
-- Its search_path is empty and every name is qualified, so that no object of the caller's can stand in for one of ours.
-- The new verifier is among those replaced, so that a repetition after a lost answer says true again.

CREATE FUNCTION replace_verifier(
    the_tenant uuid, the_maildrop uuid, the_credential uuid, old_verifier text, new_verifier text
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    IF new_verifier !~ '^\$argon2id\$v=19\$m=[0-9]+,t=[0-9]+,p=[0-9]+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$' THEN
        RAISE check_violation USING MESSAGE = 'a verifier is replaced only by one of Argon2id';
    END IF;
    UPDATE public.credentials c SET verifier = new_verifier
    WHERE c.tenant_id = the_tenant AND c.maildrop_id = the_maildrop AND c.credential_id = the_credential
      AND c.verifier IN (old_verifier, new_verifier) AND c.kind = 'password'
      AND c.status = 'active' AND (c.expires IS NULL OR c.expires > pg_catalog.now());
    RETURN FOUND;
END $$;

REVOKE ALL ON FUNCTION replace_verifier(uuid, uuid, uuid, text, text) FROM PUBLIC;

DO $$
BEGIN
    IF to_regrole('poplar_front') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION replace_verifier(uuid, uuid, uuid, text, text) TO poplar_front;
    END IF;
END $$;
