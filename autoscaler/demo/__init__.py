"""The main job without a site: three hosts on libvirt's test driver live through a synthetic day in seconds."""
