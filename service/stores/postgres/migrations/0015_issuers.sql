-- Who may vouch for a tenant's users with tokens, and on which terms (service/model/issuer.py checks them).
--
-- The client's secret with which an issuer is asked stands here as it is, since it must be sent: whoever may read a
-- front end's tables may read it. A tenant's own admin isn't granted its column, and the API never reads it.
CREATE TABLE issuers (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    issuer_id uuid NOT NULL,
    name text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
    terms jsonb NOT NULL CHECK (jsonb_typeof(terms) = 'object' AND terms ? 'url'),
    client_secret text NOT NULL DEFAULT '',
    secret_set timestamptz CHECK ((secret_set IS NULL) = (client_secret = '')),
    created timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, issuer_id),
    UNIQUE (tenant_id, name)
);

ALTER TABLE issuers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

DO $$
DECLARE
    own CONSTANT text := '(tenant_id = (SELECT nullif(current_setting(''poplar.tenant'', true), '''')::uuid))';
    processes text;
BEGIN
    SELECT string_agg(quote_ident(rolname), ', ') INTO processes FROM pg_roles
    WHERE rolname IN ('poplar_front', 'poplar_lmtp', 'poplar_sweep', 'poplar_api', current_user);
    EXECUTE format('CREATE POLICY processes ON issuers TO %s USING (true) WITH CHECK (true)', processes);
    IF to_regrole('poplar_front') IS NOT NULL THEN
        GRANT SELECT ON issuers TO poplar_front;
    END IF;
    IF to_regrole('poplar_api') IS NOT NULL THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON issuers TO poplar_api;
    END IF;
    -- A tenant's admin may see who vouches for its users. Only the provider says who: each address in the terms is one
    -- that the front ends send requests to.
    IF to_regrole('poplar_delegate') IS NOT NULL THEN
        EXECUTE format('CREATE POLICY delegate ON issuers TO poplar_delegate USING %s WITH CHECK %s', own, own);
        GRANT SELECT (tenant_id, issuer_id, name, status, terms, secret_set, created) ON issuers TO poplar_delegate;
    END IF;
END $$;
