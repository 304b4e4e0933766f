# A MariaDB server that is a master or a backup of one.
#
# Only how the server works is settled here. Whether it is a master, where its master is and what its passwords are is
# read at start and on every live update.
#
# @param database_name Database that a master makes when it starts for the first time.
# @param database_user User of the application, with all rights on that database.
# @param replication_user User as which a backup copies from its master.
# @param buffer_pool_size InnoDB's buffer pool, as MariaDB writes sizes (`64M`).
# @param max_connections Connections at the same time; WordPress uses one a PHP worker.
# @param binlog_days Days that binary logs are kept: as long a backup may be away and catch up without a new copy.
# @param password_grace Seconds that a replaced password is accepted beside the new one, so that users may follow.
class scs (
  Pattern[/\A[A-Za-z0-9_]+\z/] $database_name    = 'wordpress',
  Pattern[/\A[A-Za-z0-9_]+\z/] $database_user    = 'wordpress',
  Pattern[/\A[A-Za-z0-9_]+\z/] $replication_user = 'replication',
  Pattern[/\A\d+[KMG]?\z/]     $buffer_pool_size = '64M',
  Integer[10]                  $max_connections  = 60,
  Integer[1]                   $binlog_days      = 7,
  Integer[0]                   $password_grace   = 300,
) {
  contain scs::mariadb
  contain scs::scripts
  Class['scs::mariadb'] -> Class['scs::scripts']
}
