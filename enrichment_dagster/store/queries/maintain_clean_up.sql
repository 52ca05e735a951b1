SELECT count(*) FROM ducklake_cleanup_old_files('warehouse', older_than => now() - $keep);
