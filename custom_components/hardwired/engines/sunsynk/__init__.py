"""Sunsynk and Deye hybrid inverters with an Inteless Wi-Fi dongle, heard on the network."""
