# WordPress behind nginx and php-fpm.
#
# Only how the site works is settled here. Where its database is, its passwords and its public address are read at
# start and on every live update.
#
# @param http_host Name of the site to nginx, which answers any other name too.
# @param database_name Database of the site.
# @param database_user User of that database.
# @param php_memory_limit Memory that one PHP worker may use, as PHP writes sizes (`96M`).
# @param php_workers PHP workers at most; with none to do, there are none.
# @param upload_max The largest file that can be uploaded, as PHP and nginx write sizes.
class scs (
  String[1]              $http_host        = 'localhost',
  String[1]              $database_name    = 'wordpress',
  String[1]              $database_user    = 'wordpress',
  Pattern[/\A\d+[KMG]\z/] $php_memory_limit = '96M',
  Integer[1]             $php_workers      = 5,
  Pattern[/\A\d+[KMG]\z/] $upload_max       = '32M',
) {
  contain scs::nginx
  contain scs::php
  contain scs::wordpress
  contain scs::scripts

  # WordPress wants a web server and PHP, and would bring Apache if there were none.
  Class['scs::nginx'] -> Class['scs::php'] -> Class['scs::wordpress'] -> Class['scs::scripts']
}
