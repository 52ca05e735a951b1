-- For DuckDB's own command line, which asks the catalog where the data are: here, although both may have been moved.
UPDATE __ducklake_metadata_warehouse.ducklake_metadata
SET value = $path
WHERE key = 'data_path' AND scope IS NULL AND value <> $path;
