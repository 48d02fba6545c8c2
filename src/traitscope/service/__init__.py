"""Trained runs behind HTTP: recordings come in as requests, answers go out as JSON or as a page.

In: runs, and requests of many clients. Out: jobs (`jobs`) that processes of their own score
(`bench`, `lanes`, `crew`), an application with routes for programs (`application`) and people
(`pages`), and a server that drains before it stops (`server`). Optional: the extra ``[web]``.
"""
