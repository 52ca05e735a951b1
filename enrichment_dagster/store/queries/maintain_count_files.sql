SELECT coalesce(sum(file_count + delete_file_count), 0) FROM ducklake_table_info('warehouse');
