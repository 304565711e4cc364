"""Poplar's dashboards for Grafana 11.6 and later, as code.

`make dashboards` writes them to helm/poplar/files/dashboards, and a test fails while what is there differs from what
this makes. Owns which questions an SRE has of the service. Refuses to ask what no series answers: none names a tenant
(G17).
"""
