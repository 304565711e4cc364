-- When a credential was last used, kept by front ends, which may write no credential: this function writes that one column
-- with its owner's rights, and only what the clock here says. It writes at most once in the given time, however many front
-- ends ask, so a client that logs in every minute costs one write in a quarter of an hour; it reads nothing back.
CREATE FUNCTION use_credential(the_tenant uuid, the_maildrop uuid, the_credential uuid, at_most_every interval)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    UPDATE public.credentials c SET last_used = now()
    WHERE c.tenant_id = the_tenant AND c.maildrop_id = the_maildrop AND c.credential_id = the_credential
      AND (c.last_used IS NULL OR c.last_used < now() - at_most_every);
END $$;

REVOKE ALL ON FUNCTION use_credential(uuid, uuid, uuid, interval) FROM PUBLIC;

DO $$
BEGIN
    IF to_regrole('poplar_front') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION use_credential(uuid, uuid, uuid, interval) TO poplar_front;
    END IF;
END $$;

-- Room on each page for the new version of a row, so that this write touches no index.
ALTER TABLE credentials SET (fillfactor = 85);
