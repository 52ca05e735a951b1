-- Files that no snapshot knows: what a writer left that was killed, or whose disk was full.
SELECT count(*) FROM ducklake_delete_orphaned_files('warehouse', older_than => now() - $keep);
