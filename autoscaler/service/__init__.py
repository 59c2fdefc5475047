"""The loop: reads, decides, records, acts, again and again; one thread per host, so that no host delays another."""
