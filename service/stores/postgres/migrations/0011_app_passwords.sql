-- What an app password may do less than its maildrop: policy values that narrow those of maildrop and tenant. Nobody ever
-- read or wrote the column that was meant for it.
ALTER TABLE credentials
    ADD COLUMN policy jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(policy) = 'object'),
    DROP COLUMN scopes;
