SELECT coalesce(sum(files_processed), 0) FROM ducklake_merge_adjacent_files('warehouse');
