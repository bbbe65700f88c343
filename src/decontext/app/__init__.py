"""A page in the browser for people who use no terminal, and the same by HTTP for programs.

`server` serves it, `page` is its only part that knows Gradio, `service` holds what all visitors
share: private folders (`storage`), and jobs that wait for a device (`jobs`). `work` is what a job
does. Texts are in `texts/`, one file for each language.
"""
