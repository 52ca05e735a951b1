-- Only tables whose rows never change keep small inserts in the catalog: in DuckLake d8a1881e (DuckDB 1.5.5) updates of
-- inlined rows followed by a flush can leave delete marks behind (duckdb/ducklake issue 1364). Changed rows go to Parquet.
CALL warehouse.set_option('data_inlining_row_limit', 0, table_name => 'events');
CALL warehouse.set_option('data_inlining_row_limit', 0, table_name => 'contacts');
CALL warehouse.set_option('data_inlining_row_limit', 0, table_name => 'companies');
CALL warehouse.set_option('data_inlining_row_limit', 0, table_name => 'contact_company');
CALL warehouse.set_option('data_inlining_row_limit', 0, table_name => 'provider_attempts');
CALL warehouse.set_option('data_inlining_row_limit', 0, table_name => 'crm_writes');
CALL warehouse.set_option('data_inlining_row_limit', 0, table_name => 'dead_letters');
