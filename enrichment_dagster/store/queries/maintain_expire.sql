-- Counted, not fetched: the function returns TIMESTAMPTZ, and a fetch that fails would come after the expiry.
SELECT count(*) FROM ducklake_expire_snapshots('warehouse', older_than => now() - $keep);
