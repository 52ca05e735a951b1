-- Files with deleted rows are never merged, so they are rewritten first; the large ones not for every single row.
SELECT coalesce(sum(files_processed), 0) FROM ducklake_rewrite_data_files('warehouse', delete_threshold => 0.01);
