-- Blobs that no row names are deleted only where their tenant is one of this database's, or was until it was removed. A
-- removed tenant's row goes with its last message; that it was here is then said by the audit's entry alone.

DO $$
BEGIN
    IF to_regrole('poplar_sweep') IS NOT NULL THEN
        GRANT SELECT (action) ON audit TO poplar_sweep;
    END IF;
END $$;
