# Read by gunicorn when it starts in this folder.
logger_class = "mailhelper.gunicorn_log.OurLines"
