"""Images of others (folders, archives, tables) made into shards that gen.data.shards reads."""
