SELECT coalesce(sum(rows_flushed), 0) FROM ducklake_flush_inlined_data('warehouse');
