-- Spreads Poplar's schema over a Citus cluster, by tenant. Run once, as the schema's owner, on the coordinator, after
-- `poplar migrate` and before there are tenants (tables that hold rows are moved too, but locked meanwhile).
--
-- NOT RUN YET: Citus could not be had where Poplar is tested. What is tested is that every table and every function is
-- named here, that keys allow it, and which statements stay within one tenant (deploy/decisions/capacity.md, "Citus").
-- Written for Citus 13 after its documentation and source.

-- Named by staff and by every login: on every node, so that a domain's tenant is found wherever a client of Citus asks.
SELECT create_reference_table('tenants');
SELECT create_reference_table('domains');

-- Citus takes no subquery in a policy, and these have one, which spares a local Postgres a call for each row.
DROP POLICY delegate ON maildrops;
DROP POLICY delegate ON aliases;
DROP POLICY delegate ON credentials;
DROP POLICY delegate ON messages;
DROP POLICY delegate ON fences;
DROP POLICY delegate ON audit;
DROP POLICY delegate ON tokens;
DROP POLICY delegate ON issuers;

SELECT create_distributed_table('maildrops', 'tenant_id', shard_count => 128);
SELECT create_distributed_table('aliases', 'tenant_id', colocate_with => 'maildrops');
SELECT create_distributed_table('credentials', 'tenant_id', colocate_with => 'maildrops');
SELECT create_distributed_table('messages', 'tenant_id', colocate_with => 'maildrops');
SELECT create_distributed_table('fences', 'tenant_id', colocate_with => 'maildrops');
SELECT create_distributed_table('audit', 'tenant_id', colocate_with => 'maildrops');
SELECT create_distributed_table('tokens', 'tenant_id', colocate_with => 'maildrops');
SELECT create_distributed_table('issuers', 'tenant_id', colocate_with => 'maildrops');

DO $$
DECLARE
    own CONSTANT text := '(tenant_id = nullif(current_setting(''poplar.tenant'', true), '''')::uuid)';
    the_table text;
BEGIN
    FOREACH the_table IN ARRAY ARRAY[
        'maildrops', 'aliases', 'credentials', 'messages', 'fences', 'audit', 'tokens', 'issuers'
    ] LOOP
        EXECUTE format('CREATE POLICY delegate ON %I TO poplar_delegate USING %s WITH CHECK %s', the_table, own, own);
    END LOOP;
END $$;

-- A call goes to the node that keeps the tenant, and all its statements stay there.
SELECT create_distributed_function('open_maildrop(uuid, uuid, uuid)', 'the_tenant', colocate_with => 'maildrops');
SELECT create_distributed_function(
    'open_maildrop_since(uuid, uuid, uuid, timestamptz, integer)', 'the_tenant', colocate_with => 'maildrops');
SELECT create_distributed_function(
    'remove_messages(uuid, uuid, uuid, bigint[])', 'the_tenant', colocate_with => 'maildrops');
SELECT create_distributed_function(
    'remove_messages(uuid, uuid, uuid, bigint[], text, text, text, text)', 'the_tenant', colocate_with => 'maildrops');
SELECT create_distributed_function(
    'leave_maildrop(uuid, uuid, uuid, bigint[], bigint[], integer, text, text, text, text)', 'the_tenant',
    colocate_with => 'maildrops');
SELECT create_distributed_function(
    'expire_messages(uuid, uuid, timestamptz, bigint)', 'the_tenant', colocate_with => 'maildrops');
SELECT create_distributed_function(
    'expire_retrieved(uuid, uuid, timestamptz, bigint)', 'the_tenant', colocate_with => 'maildrops');
SELECT create_distributed_function(
    'replace_verifier(uuid, uuid, uuid, text, text)', 'the_tenant', colocate_with => 'maildrops');
SELECT create_distributed_function(
    'add_scram_keys(uuid, uuid, uuid, text, text)', 'the_tenant', colocate_with => 'maildrops');
SELECT create_distributed_function(
    'use_credential(uuid, uuid, uuid, interval)', 'the_tenant', colocate_with => 'maildrops');

-- It locks a row of `domains`, a reference table, whose locks are taken on every node: it stays on the coordinator.
-- provide_maildrop(uuid, text, text, text)

-- They take tenants in arrays, which name no node: they stay on the coordinator, and their statements travel one by one.
-- append_messages(uuid[], uuid[], uuid[], text[], bigint[], bigint[], boolean[], text[], bytea[], bytea[], timestamptz[])
-- append_messages_together(the same)
-- forget_messages(uuid[], uuid[], bigint[])
-- open_maildrops_together(bigint[], uuid[], uuid[], uuid[])
