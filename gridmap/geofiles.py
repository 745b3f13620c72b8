"""Layers as files a GIS opens: one styled GeoPackage, and a GeoParquet copy of each layer."""

import contextlib
import sqlite3

import pyogrio

from gridmap import layers

# QGIS looks for this table by name and columns when it opens a layer of the file.
LAYER_STYLES = """
CREATE TABLE layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  f_table_catalog TEXT(256), f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256),
  styleName TEXT(30), styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
  update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now'))
)"""
DATA_COLUMNS = """
CREATE TABLE gpkg_data_columns (
  table_name TEXT NOT NULL, column_name TEXT NOT NULL, name TEXT, title TEXT, description TEXT, mime_type TEXT,
  constraint_name TEXT, CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name)
)"""


def write_geopackage(path, shown):
    """Write every layer into one GeoPackage 1.2 (what ArcGIS and old GDALs open) that QGIS opens coloured.

    shown: what `layers.build` made; an empty layer is written too, with its geometry type.
    """
    for name, layer in shown.items():
        kind = layer.attrs["geometry_type"]
        # the version is said when the file is made, with its first layer
        pyogrio.write_dataframe(layer, path, layer=name, driver="GPKG", geometry_type=kind, promote_to_multi=kind.startswith("Multi"),
                                append=path.exists(), dataset_options=None if path.exists() else {"VERSION": "1.2"})
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        _embed_styles(file, layers.styles(shown))
        _embed_titles(file, layers.titles(shown))


def write_geoparquet(folder, shown):
    """Write <layer>.parquet (GeoParquet 1.1 with a bounding-box column) for every layer."""
    for name, layer in shown.items():
        layer.to_parquet(folder / f"{name}.parquet", schema_version="1.1.0", write_covering_bbox=len(layer) > 0, compression="zstd")


def _embed_styles(file, styles):
    file.execute(LAYER_STYLES)
    file.execute("INSERT INTO gpkg_contents (table_name, data_type, identifier) VALUES ('layer_styles', 'attributes', 'layer_styles')")
    for name, qml in styles.items():
        column, = file.execute("SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (name,)).fetchone()
        file.execute("INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, "
                     "styleQML, styleSLD, useAsDefault, description, owner) VALUES ('', '', ?, ?, 'gridmap', ?, '', 1, 'as gridmap drew it', '')",
                     (name, column, qml))


def _embed_titles(file, columns):
    file.execute(DATA_COLUMNS)
    file.execute("INSERT INTO gpkg_extensions (table_name, column_name, extension_name, definition, scope) VALUES "
                 "('gpkg_data_columns', NULL, 'gpkg_schema', 'http://www.geopackage.org/spec121/#extension_schema', 'read-write')")
    file.executemany("INSERT INTO gpkg_data_columns (table_name, column_name, title, description) VALUES (?, ?, ?, ?)", columns)
