
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('inventory', '0004_alarms_and_rules_find_their_rows'),
    ]

    operations = [
        migrations.AddField(
            model_name='stockfile',
            name='digest',
            field=models.CharField(blank=True, help_text='文件内容的 SHA-256', max_length=64, verbose_name='摘要'),
        ),
        migrations.AddField(
            model_name='stockfile',
            name='ordered_by',
            field=models.CharField(blank=True, help_text='最近一次执行或撤销的人', max_length=80, verbose_name='执行人'),
        ),
        migrations.AddField(
            model_name='stockfile',
            name='read_to',
            field=models.PositiveIntegerField(default=0, verbose_name='读到行'),
        ),
        migrations.AddField(
            model_name='stockfilerow',
            name='fault',
            field=models.CharField(blank=True, choices=[('text', '文字无法识别'), ('node', '仓库有误'), ('target', '调入仓有误'), ('sku', 'SKU 有误'), ('quantity', '数量有误'), ('time', '数据时间有误'), ('repeated', '重复')], max_length=10, verbose_name='错误类别'),
        ),
        migrations.AddField(
            model_name='stockfilerow',
            name='measured_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='数据时间'),
        ),
        migrations.AddField(
            model_name='stockfilerow',
            name='reason',
            field=models.CharField(blank=True, max_length=120, verbose_name='备注'),
        ),
        migrations.AlterField(
            model_name='stockfile',
            name='actor',
            field=models.CharField(max_length=80, verbose_name='上传人'),
        ),
        migrations.AlterField(
            model_name='stockfile',
            name='state',
            field=models.CharField(choices=[('uploaded', '待读取'), ('reading', '读取中'), ('ready', '待确认'), ('applying', '执行中'), ('applied', '已执行'), ('undoing', '撤销中'), ('undone', '已撤销'), ('refused', '无法读取'), ('dropped', '已放弃')], default='uploaded', max_length=10, verbose_name='状态'),
        ),
        migrations.AlterField(
            model_name='stockfilerow',
            name='cells',
            field=models.JSONField(blank=True, default=list, help_text='执行成功后不再保留', verbose_name='原文'),
        ),
        migrations.AddIndex(
            model_name='stockfile',
            index=models.Index(fields=['digest'], name='stock_file_by_content'),
        ),
    ]
